//! What rules would do to samples, for the person who writes them.

use super::Plan;
use super::surroundings::Surroundings;
use crate::outcome::Outcome;
use crate::shape::Shape;

/// Samples of one preview; the rest is not looked at.
pub const MAX_SAMPLES: usize = 50;

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview<'a> {
    /// The record as it came.
    pub before: &'a str,
    /// What would become of it.
    pub outcome: Outcome<'a>,
    /// The record after each step that it came through.
    pub steps: Vec<String>,
}

impl Plan {
    /// What would become of up to [`MAX_SAMPLES`] records.
    #[must_use]
    pub fn preview<'a>(
        &self,
        samples: &[&'a str],
        known: &Shape,
        around: &Surroundings<'_>,
    ) -> Vec<Preview<'a>> {
        let samples = samples.iter().take(MAX_SAMPLES);
        samples
            .map(|before| {
                let mut steps = Vec::new();
                let outcome = self.run(before, known, around, &mut |node| steps.push(node.write()));
                Preview {
                    before,
                    outcome: outcome.unwrap_or_else(Outcome::Refused),
                    steps,
                }
            })
            .collect()
    }
}
