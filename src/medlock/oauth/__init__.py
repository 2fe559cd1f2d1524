"""What an app may claim: bearer tokens now; clients, authorize, introspection and SMART launch build on them."""
