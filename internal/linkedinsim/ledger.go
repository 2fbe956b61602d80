package linkedinsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
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
		for next := 0; ; {
			text := w.ledgerLines(nil, &next)
			if len(text) == 0 {
				return
			}
			for line := range bytes.Lines(text) {
				var e LedgerEntry
				if json.Unmarshal(line, &e) != nil || !yield(e) {
					return
				}
			}
		}
	}
}

// WriteLedger writes the ledger as JSON lines.
func (w *World) WriteLedger(out io.Writer) error { return writeLines(out, w.ledgerLines) }

// chunk is how many lines are taken at once, so that the world is not locked
// while a slow reader takes a long list.
const chunk = 512

// writeLines writes what part appends, until it appends nothing. Part goes on
// from next, which it moves.
func writeLines(out io.Writer, part func(dst []byte, next *int) []byte) error {
	var text []byte
	for next := 0; ; {
		if text = part(text[:0], &next); len(text) == 0 {
			return nil
		}
		if _, err := out.Write(text); err != nil {
			return fmt.Errorf("writing lines: %w", err)
		}
	}
}

// ledgerLines appends the next entries of the ledger. It takes the lock.
func (w *World) ledgerLines(dst []byte, next *int) []byte {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for left := chunk; *next < len(w.rows) && left > 0; *next++ {
		if !w.rows[*next].flags.has(flagFiller) {
			dst = append(w.appendEntry(dst, uint32(*next)), '\n')
			left--
		}
	}
	return dst
}

// entry appends the ledger entry of row n. It takes the lock.
func (w *World) entry(dst []byte, n uint32) []byte {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.appendEntry(dst, n)
}

// appendEntry appends one entry as JSON, without a line break. It is written by
// hand because a ledger has a million of them.
func (w *World) appendEntry(dst []byte, n uint32) []byte {
	r, v, x := w.rows[n], w.versionOf(n), w.extra(n)
	listed := r.visible <= w.clock.millis() && w.listable(n) && r.submitted >= w.oldest() &&
		!(r.flags.has(flagTest) && w.switches.TestLeads == "omitted_excludes")
	dst = append(w.appendID(append(dst, `{"id":"`...), n), `","submittedAt":`...)
	dst = append(strconv.AppendInt(dst, r.submitted, 10), `,"visibleAt":`...)
	dst = append(strconv.AppendInt(dst, r.visible, 10), `,"owner":"`...)
	dst = append(append(dst, v.form.Owner.Organization...), `","leadType":"`...)
	dst = append(append(dst, r.kind.String()...), '"')
	if r.event >= 0 {
		dst = append(strconv.AppendInt(append(dst, `,"event":"urn:li:event:`...), w.events[r.event].ID, 10), '"')
	}
	dst = append(append(dst, `,"form":`...), v.urnJSON...)
	dst = append(strconv.AppendInt(append(dst, `,"formId":"`...), v.form.ID, 10), `","formVersion":`...)
	dst = append(strconv.AppendInt(dst, int64(v.form.VersionID), 10), `,"testLead":`...)
	dst = append(strconv.AppendBool(dst, r.flags.has(flagTest)), `,"submitter":`...)
	dst = append(w.appendSubmitter(dst, n), `,"answers":[`...)
	dst = append(w.appendAnswers(dst, n, ledgerStyle), `],"consents":[`...)
	dst = append(w.appendConsents(dst, n), `],"listed":`...)
	dst = append(strconv.AppendBool(dst, listed), `,"deleted":`...)
	dst = strconv.AppendBool(dst, r.flags.has(flagDeleted))
	if at := w.gone[n]; at != 0 {
		dst = strconv.AppendInt(append(dst, `,"deletedAt":`...), at, 10)
	}
	dst = strconv.AppendBool(append(dst, `,"superseded":`...), r.flags.has(flagReplaced))
	if x.malformed != "" {
		dst = append(append(dst, `,"malformed":`...), mustJSON(x.malformed)...)
	}
	return append(dst, '}')
}
