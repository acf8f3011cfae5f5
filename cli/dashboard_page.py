"""The script that Streamlit runs for everyone who opens the dashboard."""

from cli.settings import Settings
from reporting.page import show

_settings = Settings()
show(_settings.database("report"), _settings.currency)
