"""RevenueReporting: projections of the event log, and what people read of them."""
