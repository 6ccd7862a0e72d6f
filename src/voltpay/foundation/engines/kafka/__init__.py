"""Kafka: the log of more than one machine. Nothing else imports confluent_kafka."""
