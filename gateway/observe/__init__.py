"""What operations people see: metrics, logs, health. Never anything personal."""
