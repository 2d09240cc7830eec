//! Tests of the figures and of their text.

use super::*;

fn text(metrics: &Metrics) -> String {
    to_text(&metrics.families(&[Gauge { name: "libvault_sealed", help: "Whether.", value: 0.0 }]))
}

#[test]
fn what_is_counted_by_many_threads_is_all_there() {
    let metrics = Metrics::default();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    metrics.request(Target::Secrets, Operation::Read, None);
                    metrics.authentication(Authentication::Known);
                }
            });
        }
    });
    metrics.request(Target::None, Operation::Delete, Some(Class::Internal));
    assert_eq!(metrics.requests(), 8_001);
    let text = text(&metrics);
    for line in [
        "libvault_requests_total{target=\"secrets\",operation=\"read\",outcome=\"success\"} 8000",
        "libvault_requests_total{target=\"none\",operation=\"delete\",outcome=\"internal\"} 1",
        "libvault_authentications_total{outcome=\"success\"} 8000",
        "libvault_caller_cache_total{outcome=\"hit\"} 8000",
        "libvault_sealed 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn every_request_has_a_counter_of_its_own() {
    for target in TARGETS {
        for operation in OPERATIONS {
            for class in CLASSES.into_iter().map(Some).chain([None]) {
                let metrics = Metrics::default();
                metrics.request(target, operation, class);
                let sums = metrics.counts.sums();
                assert_eq!((sums.iter().sum::<u64>(), sums[REQUESTS..].iter().sum::<u64>()), (1, 0), "{target:?} {operation:?} {class:?}");
            }
        }
    }
}

#[test]
fn a_histogram_is_cumulative_and_its_bounds_belong_to_their_buckets() {
    let metrics = Metrics::default();
    for micros in [50, 51, 2_500_000, 2_500_001, 100_000_000] {
        metrics.issuance(Duration::from_micros(micros));
    }
    let text = text(&metrics);
    for line in [
        "libvault_issuance_seconds_bucket{le=\"0.00005\"} 1",
        "libvault_issuance_seconds_bucket{le=\"0.0001\"} 2",
        "libvault_issuance_seconds_bucket{le=\"2.5\"} 3",
        "libvault_issuance_seconds_bucket{le=\"+Inf\"} 5",
        "libvault_issuance_seconds_count 5",
        "libvault_issuance_seconds_sum 105.000102",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn rotations_and_revocations_are_counted_by_whom_they_concern() {
    let metrics = Metrics::default();
    metrics.rotation(RotationOutcome::Succeeded);
    metrics.rotation(RotationOutcome::Failed);
    metrics.rotation(RotationOutcome::Failed);
    metrics.revocation(Duration::from_secs(60));
    let text = text(&metrics);
    assert!(text.contains("libvault_rotations_total{outcome=\"failure\"} 2") && text.contains("libvault_revocation_seconds_count 1"));
}
