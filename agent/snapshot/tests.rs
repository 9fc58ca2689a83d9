//! Points become families, and a pass forgets the one before.

use super::*;
use crate::metric::Unit;

static READS: Metric = Metric::counter("reads_total", Unit::Of("{read}"), "Reads.");
static WRITES: Metric = Metric::counter("writes_total", Unit::Of("{write}"), "Writes.");

fn page_of(reading: &Reading) -> Vec<String> {
    let line =
        |family: &Family, point: &Point| format!("{} {} {:?}", family.metric.name, point.labels.page(), point.value);
    reading.families().flat_map(|family| family.points().iter().map(move |point| line(family, point))).collect()
}

fn pass(reading: &mut Reading, devices: &[(&Labels, i64)]) {
    reading.start(Instant::now(), SystemTime::now());
    for (labels, value) in devices {
        reading.put_with(&READS, labels, *value);
        reading.put_with(&WRITES, labels, *value + 1);
    }
}

#[test]
fn rows_become_families() {
    let (a, b) = (Labels::new(&[("device", "a")]), Labels::new(&[("device", "b")]));
    let mut reading = Reading::default();
    pass(&mut reading, &[(&a, 1), (&b, 3)]);
    let expected = [
        "reads_total device=\"a\" Int(1)",
        "reads_total device=\"b\" Int(3)",
        "writes_total device=\"a\" Int(2)",
        "writes_total device=\"b\" Int(4)",
    ];
    assert_eq!(page_of(&reading), expected);
    assert_eq!(reading.series(), 4);
}

#[test]
fn a_series_that_went_leaves_nothing_behind() {
    let (a, b) = (Labels::new(&[("device", "a")]), Labels::new(&[("device", "b")]));
    let mut reading = Reading::default();
    pass(&mut reading, &[(&a, 1), (&b, 3)]);
    pass(&mut reading, &[(&b, 5)]);
    assert_eq!(page_of(&reading), ["reads_total device=\"b\" Int(5)", "writes_total device=\"b\" Int(6)"]);
    reading.fail(Failure { absent: false, message: "gone".into() });
    assert_eq!(page_of(&reading), [""; 0]);
}

#[test]
fn what_was_born_may_be_said_again() {
    let (x, y, labels) = (READS.named("x"), WRITES.named("y"), Labels::none());
    let mut reading = Reading::default();
    reading.start(Instant::now(), SystemTime::now());
    reading.put(&READS, 1_i64);
    reading.put_born(&x, &labels, 2_i64);
    reading.put_born(&y, &labels, 3_i64);
    let said = page_of(&reading);
    reading.start(Instant::now(), SystemTime::now());
    reading.put(&READS, 1_i64);
    assert!(!reading.again(3, |_| true), "these are two");
    assert!(reading.again(2, |_| true));
    assert_eq!((page_of(&reading), reading.series()), (said, 3));
    assert!(!reading.again(2, |_| true), "they are said already");
    reading.start(Instant::now(), SystemTime::now());
    assert!(reading.again(1, |metric| metric.name == y.name));
    reading.start(Instant::now(), SystemTime::now());
    assert!(!reading.again(2, |_| true), "what was not said is not said again");
}

#[test]
fn a_metric_that_was_born_and_went_is_forgotten() {
    let (born, labels) = (READS.named("x"), Labels::none());
    let mut reading = Reading::default();
    for passes in [2, 1, 0] {
        reading.start(Instant::now(), SystemTime::now());
        if passes == 2 {
            reading.put_born(&born, &labels, 1_i64);
        }
    }
    assert!(reading.families.is_empty());
    assert_eq!(Arc::strong_count(&born), 1);
}

#[test]
fn series_over_the_limit_are_counted_not_kept() {
    let labels = Labels::none();
    let mut reading = Reading { limit: 3, ..Reading::default() };
    pass(&mut reading, &[(&labels, 1), (&labels, 2)]);
    assert_eq!((reading.series(), reading.cut), (3, 1));
}

#[test]
fn the_largest_hosts_are_shown_whole() {
    let mut reading = Reading::default();
    // 4096 CPUs in ten modes, or as many disks with all that is known of each.
    for labels in (0..4096).map(|index| Labels::new(&[("device", &index.to_string())])) {
        for _ in 0..23 {
            reading.put_with(&READS, &labels, 1_i64);
        }
    }
    assert_eq!((reading.series(), reading.cut), (4096 * 23, 0));
}

#[test]
fn labels_are_escaped_once_and_read_back() {
    let labels = Labels::new(&[("path", "C:\\a \"b\",c=\n"), ("x", "")]);
    assert_eq!(labels.page(), r#"path="C:\\a \"b\",c=\n",x="""#);
    assert_eq!(labels.pairs(), [("path".to_owned(), "C:\\a \"b\",c=\n".to_owned()), ("x".to_owned(), String::new())]);
}

#[test]
fn bytes_above_two_to_the_53_stay_exact() {
    assert_eq!(Value::from(9_007_199_254_740_993_u64), Value::Int(9_007_199_254_740_993));
    assert_eq!(Value::from(u64::MAX), Value::Float(18_446_744_073_709_551_615.0));
}

#[test]
fn a_copy_has_what_was_written_and_no_more_room() {
    let labels: Vec<Labels> = (0..9).map(|index| Labels::new(&[("device", &index.to_string())])).collect();
    let mut reading = Reading::default();
    let rows: Vec<(&Labels, i64)> = labels.iter().zip(0..).collect();
    for count in [9, 4] {
        pass(&mut reading, &rows[..count]);
        let copy = reading.clone();
        assert_eq!((page_of(&copy), copy.series()), (page_of(&reading), 2 * count));
        assert!(copy.families().all(|family| family.known() == count));
    }
    assert_eq!(size_of::<Family>(), 48);
}
