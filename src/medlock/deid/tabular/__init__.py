"""Tables made anonymous: hierarchies, privacy models, optimal search, local recoding, measures of risk and utility."""
