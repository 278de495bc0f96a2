"""kargo-lab: a testbed and conformance suite for webhook receivers that trigger artifact discovery."""
