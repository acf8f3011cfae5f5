"""Stands for a module that is there for the bill of materials alone, and in no image.

Where it is installed, jsonschema imports it with whatever draws a chart, and it works out a grammar
first: three seconds for each dashboard.
"""

raise ImportError("rfc3987_syntax takes no part in tests")
