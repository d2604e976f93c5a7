"""Dashboards without Grafana: the panels' queries, asked of a real Prometheus and plotted."""
