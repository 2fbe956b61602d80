package linkedinsim

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
)

// LedgerEntry is what the simulator knows of one submission: what a reader of
// LinkedIn should have found. Times are in epoch milliseconds, ids of forms in
// digits, everything else as LinkedIn spells it.
type LedgerEntry struct {
	ID          string          `json:"id"`
	SubmittedAt int64           `json:"submittedAt"`
	VisibleAt   int64           `json:"visibleAt"`
	Owner       string          `json:"owner"`
	LeadType    string          `json:"leadType"`
	Event       string          `json:"event,omitempty"`
	Form        string          `json:"form"` // versioned URN
	FormID      string          `json:"formId"`
	FormVersion int             `json:"formVersion"`
	TestLead    bool            `json:"testLead"`
	Submitter   string          `json:"submitter"`
	Answers     []Answer        `json:"answers"`
	Consents    []ConsentAnswer `json:"consents"`
	// Listed tells whether the finder, asked without further parameters, lists
	// the lead at the moment the ledger is read.
	Listed bool `json:"listed"`
	// Deleted and DeletedAt tell that the member left the event.
	Deleted   bool  `json:"deleted"`
	DeletedAt int64 `json:"deletedAt,omitempty"`
	// Superseded tells that the same id was submitted again later.
	Superseded bool `json:"superseded"`
	// Malformed is the defect of the element, empty for a sound one. The other
	// members say what was meant.
	Malformed Malformation `json:"malformed,omitempty"`
}

// Ledger yields every lead ever made, in the order they were made, up to those
// made while it is read.
func (w *World) Ledger() iter.Seq[LedgerEntry] {
	return func(yield func(LedgerEntry) bool) {
		for n := uint32(0); ; n++ {
			if e, found := w.nextEntry(&n); !found || !yield(e) {
				return
			}
		}
	}
}

// nextEntry is the entry of row n or of the first lead behind it. It takes the
// lock.
func (w *World) nextEntry(n *uint32) (e LedgerEntry, found bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for ; int(*n) < len(w.rows); *n++ {
		if !w.rows[*n].flags.has(flagFiller) {
			return w.entry(*n), true
		}
	}
	return e, false
}

// WriteLedger writes the ledger as JSON lines.
func (w *World) WriteLedger(out io.Writer) error { return writeLines(out, w.Ledger()) }

// writeLines writes JSON lines.
func writeLines[T any](out io.Writer, list iter.Seq[T]) error {
	for v := range list {
		if _, err := out.Write(append(mustJSON(v), '\n')); err != nil {
			return fmt.Errorf("writing lines: %w", err)
		}
	}
	return nil
}

// entry is the ledger entry of row n.
func (w *World) entry(n uint32) LedgerEntry {
	r, form := w.rows[n], w.rows[n].version
	e := LedgerEntry{
		ID: w.leadID(n), SubmittedAt: r.submitted, VisibleAt: r.visible,
		Owner: form.Owner.Organization, LeadType: r.kind.String(),
		Form: form.URN(), FormID: strconv.FormatInt(form.ID, 10), FormVersion: form.VersionID,
		TestLead: r.flags.has(flagTest), Submitter: w.submitter(n), Answers: slices.Clone(w.answers(n)), Consents: w.consents(n),
		Listed: w.listed(n, w.clock.millis()) && r.submitted >= w.oldest() &&
			!(r.flags.has(flagTest) && w.switches.TestLeads == "omitted_excludes"),
		Deleted: r.deleted != 0, DeletedAt: w.rows[n].deleted, Superseded: r.flags.has(flagReplaced), Malformed: w.rows[n].extra.Malformed,
	}
	if event := w.rows[n].event; event != nil {
		e.Event = event.URN()
	}
	for i := range e.Answers {
		e.Answers[i].OptionTexts = form.optionTexts(e.Answers[i].QuestionID, e.Answers[i].Options)
	}
	return e
}
