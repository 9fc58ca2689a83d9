//! Tasks that the kernel found hanging, from `/proc/sys/kernel/hung_task_detect_count`.

use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier, fields};
use crate::metric::{Metric, Unit};
use crate::snapshot::Reading;

static TASKS: Metric = Metric::counter(
    "node_kernel_hung_tasks_total",
    Unit::Of("{task}"),
    "Tasks found hanging in uninterruptible sleep (D) for over two minutes: look at storage first.",
);

/// The declaration of `kernel_hung`.
pub static SAMPLER: Declaration =
    Declaration { name: "kernel_hung", tier: Tier::Standard, metrics: &[&TASKS], build: |_| Box::new(KernelHung) };

struct KernelHung;

impl Sampler for KernelHung {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let tasks = |text: &str| fields::number::<u64>(text, "the number of hung tasks");
        reading.put(&TASKS, root.proc.parse("sys/kernel/hung_task_detect_count", buffer, tasks)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    #[test]
    fn kernels_before_6_13_do_not_count_hung_tasks() {
        let host = Host::new(&[]);
        assert!(matches!(host.pass(&mut KernelHung), Err(SampleError::Absent(_))));
        host.write("proc/sys/kernel/hung_task_detect_count", "3\n");
        assert_eq!(host.pass(&mut KernelHung).unwrap(), ["node_kernel_hung_tasks_total 3"]);
    }
}
