"""The SQL contract: schema, engine, bulk writes, label events, queue claims, views. Knows neither dagster nor torch."""
