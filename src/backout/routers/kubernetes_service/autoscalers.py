"""Who scales the Deployments of the sides by itself."""

from __future__ import annotations

from backout.kubernetes.api import Api

_PATIENCE_S = 5.0


def autoscalers(api: Api) -> dict[str, str]:
    """Return the autoscaler of each Deployment that has one, both as kubectl takes them.

    KEDA scales by a HorizontalPodAutoscaler of its own (keda.sh 2.18, "Scaling Deployments"), so it is among them.

    Raises:
        CredentialsRefused: We may not look: whether there is one is then not known.
        TargetUnreachable: The API server did not answer.
    """
    found = {}
    for one in api.list("HorizontalPodAutoscaler", patience_s=_PATIENCE_S):
        target = one["spec"]["scaleTargetRef"]
        if target.get("kind") == "Deployment":
            found[f"deployment/{target['name']}"] = f"hpa/{one['metadata']['name']}"
    return found
