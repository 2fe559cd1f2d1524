"""Asks the server in this container whether it is ready; exit code 0 when it is. `healthcheck.py [address]`.

The certificate is not checked: it is this machine that is asked, and nothing secret is said.
"""

import ssl
import sys
import urllib.request

ADDRESS = "https://127.0.0.1:8443"


def ready(address: str) -> bool:
    """Whether /readyz says so."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(f"{address}/readyz", context=context, timeout=5) as answer:  # noqa: S310 - ours
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(not ready(sys.argv[1] if len(sys.argv) > 1 else ADDRESS))
