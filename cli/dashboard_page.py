"""The script that Streamlit runs for everyone who opens the dashboard."""

from cli.settings import Settings
from reporting.dashboard.pages import show
from reporting.dashboard.sources import Sources

_settings = Settings()
show(Sources(_settings.database("event_log"), _settings.database("report"), _settings.currency))
