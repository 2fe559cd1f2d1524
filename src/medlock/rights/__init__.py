"""What the law and the patient decide about a record: sharing, receipts, links. docs/sharing.md."""
