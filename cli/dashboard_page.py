"""The script that Streamlit runs for everyone who opens the dashboard."""

from cli.dashboard_sources import sources
from reporting.dashboard.pages import show

show(sources())
