"""Platform `kubernetes`: Deployments, StatefulSets and DaemonSets of one namespace."""

from backout.platforms.kubernetes.platform import KubernetesPlatform

__all__ = ["KubernetesPlatform"]
