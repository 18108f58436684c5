"""Services, jobs, secrets and configs of swarm mode, and their tasks."""
