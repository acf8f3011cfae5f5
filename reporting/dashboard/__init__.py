"""The Streamlit pages that Finance looks at."""
