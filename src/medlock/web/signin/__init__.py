"""Pages for people: sign in, enrol, recover, prove again, authorise an app, see and end what there is."""
