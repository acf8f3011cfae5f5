"""The script that Streamlit runs for everyone who opens the dashboard."""

from cli.dashboard_sources import sources
from cli.login import visitors
from reporting.dashboard.pages import show

show(sources(), visitors())
