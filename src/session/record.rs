//! The record of a session, which replays it.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Event, Prompt, Session, Way};
use crate::error::{Error, Result};
use crate::progress::Run;

impl Session {
    /// All that led to the mask since the session began or was reset, as JSON (docs/schemas/session.schema.json);
    /// `model` is what the model says of itself.
    pub fn record(&self, model: &Value) -> Value {
        let event = |event: &Event| match event {
            Event::Prompt(prompt) => prompt.to_json(),
            Event::Run => json!({"run": true}),
        };
        json!({
            "voxseg": env!("CARGO_PKG_VERSION"),
            "model": model,
            "image": {"shape": self.geometry.shape, "sha256": self.image_hash()},
            "options": {"autozoom": self.options.autozoom},
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
            "mask_sha256": hash(self.mask.values.iter().map(|&value| [value])),
        })
    }

    /// Does what a record says: the mask is the same to the last voxel where model and image are. The session begins
    /// again first; after an error it has done a part.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the record of another model, image or setting, or one that can't be read, and
    /// what [`Session::add`] and [`Session::run`] say.
    pub fn replay(&mut self, record: &Value, model: &Value, run: &mut Run) -> Result<()> {
        let differs = |what: &str, found: &Value, expected: &Value| {
            let found: String = found.to_string().chars().take(120).collect();
            Err(Error::argument(what, found, format!("{expected}, as this session has it")))
        };
        let (theirs, ours) = (&record["model"]["identity"], &model["identity"]);
        if theirs != ours {
            return differs("record.model.identity", theirs, ours);
        }
        let (theirs, ours) = (&record["image"]["sha256"], json!(self.image_hash()));
        if *theirs != ours {
            return differs("record.image.sha256", theirs, &ours);
        }
        let (theirs, ours) = (&record["options"]["autozoom"], json!(self.options.autozoom));
        if *theirs != ours {
            return differs("record.options.autozoom", theirs, &ours);
        }
        let Some(events) = record["events"].as_array() else {
            return differs("record.events", &record["events"], &json!([]));
        };
        self.reset();
        for (index, event) in events.iter().enumerate() {
            if event.get("run").is_some() {
                let share = |index: usize| index as f64 / events.len() as f64;
                let rest = (share(index + 1) - share(index)) / (1.0 - share(index));
                run.part(0.0, rest, |run| self.run(run))?;
            } else {
                self.add(Prompt::from_json(event)?)?;
            }
        }
        Ok(())
    }

    /// Of the intensities as the network sees them, in single precision, the less significant byte first.
    fn image_hash(&self) -> String {
        let image = match &self.way {
            Way::Painting(state) => &state.image,
            Way::Clicks(clicks) => &clicks.prepared.image,
        };
        hash(image.iter().map(|value| value.to_le_bytes()))
    }
}

/// SHA-256 of values, a buffer of them at a time.
fn hash<const N: usize>(values: impl Iterator<Item = [u8; N]>) -> String {
    let (mut hash, mut bytes, mut filled) = (Sha256::new(), [0; 4096], 0);
    for value in values {
        if filled + N > bytes.len() {
            hash.update(&bytes[..filled]);
            filled = 0;
        }
        bytes[filled..filled + N].copy_from_slice(&value);
        filled += N;
    }
    hash.update(&bytes[..filled]);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
