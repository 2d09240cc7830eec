"""What the vault counts, read by the parser of Prometheus' own client."""

from prometheus_client.parser import text_string_to_metric_families

from conftest import World


def figures(text: str) -> dict[str, float]:
    families = list(text_string_to_metric_families(text))
    assert all(family.type in ("counter", "gauge", "histogram") and family.documentation for family in families)
    labelled = (sample for family in families for sample in family.samples)
    return {sample.name + "".join(f" {name}={text}" for name, text in sorted(sample.labels.items())): sample.value for sample in labelled}


def test_prometheus_reads_the_figures_and_they_are_those_of_what_happened(world: World) -> None:
    world.root.kv("secret").put("canary", {"k": "v"})
    for _ in range(3):
        world.root.kv("secret").get("canary")
    counted = figures(world.vault.metrics())
    assert counted["libvault_requests_total operation=read outcome=success target=secrets"] == 3
    assert counted["libvault_requests_total operation=write outcome=success target=secrets"] == 1
    assert counted["libvault_commit_seconds_bucket le=+Inf"] == counted["libvault_commit_seconds_count"] >= 1
    assert counted["libvault_sealed"] == 0 and "canary" not in world.vault.metrics()
    answer = world.root.request("read", "sys/metrics", {"format": "prometheus"})
    assert answer is not None and figures(answer["data"]["text"])["libvault_sealed"] == 0


def test_a_sealed_vault_tells_its_figures(world: World) -> None:
    world.vault.seal()
    assert figures(world.vault.metrics())["libvault_sealed"] == 1
