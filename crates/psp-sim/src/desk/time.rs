use std::{sync::Arc, time::Duration};

use super::{Desk, PayoutOrder};
use crate::{journal::Lost, machine, store::Slot};

/// How often the desk looks whether something has become due.
const LOOK: Duration = Duration::from_millis(50);

impl Desk {
    /// Does what becomes due by itself until the process is asked to stop: holds end, refunds turn, banks rule,
    /// payouts are made and arrive.
    pub(crate) async fn keep_time(self: Arc<Self>) -> anyhow::Result<()> {
        let scheduled = PayoutOrder {
            automatic: true,
            ..PayoutOrder::default()
        };
        let mut next_payout = self.payout_after(self.now_ms());
        loop {
            tokio::select! {
                () = self.life.stopping() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = self.now_ms();
            let overdue = self.store.read().alarms.overdue(now);
            for id in overdue {
                match self.store.slot(&id) {
                    // When a line is lost the process is ending, and the alarm rings again at its next start.
                    Some(slot) => {
                        let _turn = slot.turn.lock().await;
                        let _ = self.catch_up(&slot).await;
                    }
                    None => {
                        let _ = self.arrive(&id).await;
                    }
                }
            }
            if next_payout.is_some_and(|at| at <= now) {
                let _ = self.pay_out(&scheduled).await;
                next_payout = self.payout_after(now);
            }
        }
    }

    fn payout_after(&self, now: i64) -> Option<i64> {
        let every = i64::try_from(self.rules.payout_every.as_millis()).unwrap_or(i64::MAX);
        (every > 0).then(|| now.saturating_add(every))
    }

    /// Does to an intent what has become due. The caller holds its turn.
    pub(super) async fn catch_up(&self, slot: &Slot) -> Result<(), Lost> {
        while let Some(change) = machine::pass(&slot.latest(), &self.bank()) {
            self.commit(self.fact(change, None, None)).await?;
        }
        Ok(())
    }
}
