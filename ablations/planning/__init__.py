"""Planning: StudySpec + profile + machine -> Plan. Pure."""
