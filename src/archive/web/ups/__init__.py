"""UPS-RS, the Worklist Service (PS3.18 chapter 11), and Notification Connections for its events (8.10)."""
