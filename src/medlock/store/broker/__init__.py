"""The key broker: a process that holds the epoch keys so that workers need not. docs/spec/broker.md."""
