use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::Series;
use crate::model::{Charge, Fact, PayoutFact, Transaction};

/// A balance transaction and what it belongs to.
pub(crate) struct Posting {
    pub(crate) transaction: Transaction,
    pub(crate) currency: String,
    pub(crate) description: Option<String>,
    /// The payout that has paid it out.
    pub(crate) payout: Option<String>,
}

/// The account's balance: every transaction, and those that were not paid out.
#[derive(Default)]
pub(crate) struct Balance {
    pub(crate) postings: Series<Posting>,
    /// Places in `postings`, by currency.
    waiting: BTreeMap<String, BTreeSet<usize>>,
}

impl Balance {
    /// Enters what is new in the fact.
    pub(super) fn enter(&mut self, fact: &Arc<Fact>) {
        let terms = &fact.intent.terms;
        for transaction in fact.charge.iter().flat_map(Charge::transactions) {
            let description = terms.description.clone();
            self.post(transaction, &terms.currency, description, None);
        }
    }

    /// Enters a payout and notes what it paid out.
    pub(super) fn pay_out(&mut self, fact: &PayoutFact) {
        let payout = &fact.payout;
        for id in &fact.pays_out {
            let place = self.postings.position(id);
            let waiting = self.waiting.get_mut(&payout.currency);
            if let Some((place, waiting)) = place.zip(waiting) {
                waiting.remove(&place);
            }
            if let Some(posting) = self.postings.get_mut(id) {
                posting.payout = Some(payout.id.clone());
            }
        }
        let itself = Some(payout.id.clone());
        self.post(&payout.transaction, &payout.currency, None, itself);
        // What came back is paid out by a later one.
        if let Some(failure) = &payout.failure {
            self.post(failure, &payout.currency, None, None);
        }
    }

    fn post(
        &mut self,
        transaction: &Transaction,
        currency: &str,
        description: Option<String>,
        payout: Option<String>,
    ) {
        let id = &transaction.id;
        if self.postings.position(id).is_some() {
            return;
        }
        if payout.is_none() {
            let place = self.postings.all().len();
            let waiting = self.waiting.entry(currency.to_owned()).or_default();
            waiting.insert(place);
        }
        let posting = Posting {
            transaction: transaction.clone(),
            currency: currency.to_owned(),
            description,
            payout,
        };
        self.postings.put(id, posting);
    }

    /// What was not paid out, by currency.
    pub(crate) fn unpaid(&self) -> impl Iterator<Item = (&str, Vec<&Transaction>)> {
        let all = self.postings.all();
        self.waiting.iter().map(|(currency, places)| {
            let of = |place: &usize| all.get(*place).map(|posting| &posting.transaction);
            (currency.as_str(), places.iter().filter_map(of).collect())
        })
    }
}
