//! `protem elevate --socket`: asking for a scope through the agent of this machine.
//!
//! Promises: the calling process speaks for its own subject; the SVID comes to every process of
//! that subject here, over the sockets of the agent, and no file is written.
//! Refuses: what only who holds an SVID himself can ask for.

use crate::cli::agent::{json_of_ms, text_of_ms};
use crate::cli::elevation::{PENDING, exit_of_state};
use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::client::keep::Stop;
use crate::client::{AgentSocket, AgentSocketError};
use crate::proto::agent::{ElevateRequest, ElevateResponse};
use crate::time::Seconds;

/// Asks, and with `wait` waits while people decide.
pub(crate) async fn ask(
    agent: &AgentSocket,
    request: ElevateRequest,
    wait: bool,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let mut answer = agent.elevate(request).await?;
    if wait && answer.state == PENDING {
        screen.say(&format!(
            "{} waits for {}",
            answer.elevation, answer.waits_for
        ));
        answer = decided(agent, answer).await?;
    }
    show(&answer, screen)?;
    let exit = exit_of_state(&answer.state, Some(&answer.ended));
    if exit == Exit::Done && !screen.is_json() {
        screen.say(&format!(
            "the SVID comes over the agent's sockets; to see it: protem agent fetch --hint \
             scope/{}",
            answer.scope
        ));
    }
    Ok(exit)
}

async fn decided(
    agent: &AgentSocket,
    mut answer: ElevateResponse,
) -> anyhow::Result<ElevateResponse> {
    let mut stop = Stop::listen()?;
    while answer.state == PENDING {
        let waited = tokio::select! {
            () = stop.asked() => return Ok(answer),
            waited = agent.wait_elevation(&answer.elevation, PENDING) => waited,
        };
        match waited {
            Ok(next) if next.state != PENDING => return Ok(next),
            // An agent that answers at once instead of waiting is not asked without a break.
            Ok(next) => {
                answer = next;
                tokio::time::sleep(REPEAT_AFTER.duration()).await;
            }
            Err(error) if is_passing(&error) => {
                tokio::time::sleep(RETRY_AFTER.duration()).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(answer)
}

fn is_passing(error: &AgentSocketError) -> bool {
    !error.is_final() && !error.is_no_identity()
}

fn show(answer: &ElevateResponse, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(&serde_json::json!({
            "id": answer.elevation,
            "state": answer.state,
            "ended": answer.ended,
            "waits_for": answer.waits_for,
            "because": answer.because,
            "scope": answer.scope,
            "ends_at": json_of_ms(answer.ends_ms),
        }));
    }
    screen.record(&[
        ("id", answer.elevation.clone()),
        ("state", answer.state.clone()),
        ("ended", answer.ended.clone()),
        ("scope", answer.scope.clone()),
        ("ends", text_of_ms(answer.ends_ms, Reach::now())),
        ("waits for", answer.waits_for.clone()),
        ("because", answer.because.clone()),
    ])
}

const REPEAT_AFTER: Seconds = Seconds::new(1);
const RETRY_AFTER: Seconds = Seconds::new(2);
