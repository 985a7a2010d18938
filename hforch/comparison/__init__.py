"""Compare the records of jobs: settings, metrics and outputs, and recommend a job."""
