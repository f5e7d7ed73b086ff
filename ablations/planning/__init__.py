"""StudySpec + profile + machine -> Plan. Pure."""
