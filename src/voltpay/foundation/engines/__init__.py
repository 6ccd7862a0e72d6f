"""Technologies behind the seams. Only `app/engines.py` names a concrete one."""
