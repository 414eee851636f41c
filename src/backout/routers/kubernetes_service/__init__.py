"""The `kubernetes-service` router: which Deployments the pods of a Service are of, by its selector and by numbers of replicas."""

from backout.routers.kubernetes_service.options import KubernetesServiceOptions
from backout.routers.kubernetes_service.router import KubernetesServiceRouter

__all__ = ["KubernetesServiceOptions", "KubernetesServiceRouter"]
