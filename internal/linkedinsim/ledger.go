package linkedinsim

import (
	"bufio"
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

// ledgerChunk is how many entries are taken at once, so that the world is not
// locked while a slow reader takes a long ledger.
const ledgerChunk = 512

// Ledger yields every lead ever made, in the order they were made, up to those
// made while it is read.
func (w *World) Ledger() iter.Seq[LedgerEntry] {
	return func(yield func(LedgerEntry) bool) {
		for next := 0; ; {
			rows, v := w.chunk(&next)
			if len(rows) == 0 {
				return
			}
			for _, r := range rows {
				var e LedgerEntry
				if json.Unmarshal(w.appendEntry(nil, v, r), &e) != nil || !yield(e) {
					return
				}
			}
		}
	}
}

// WriteLedger writes the ledger as JSON lines.
func (w *World) WriteLedger(out io.Writer) error {
	buffered := bufio.NewWriterSize(out, 1<<16)
	var line []byte
	for next := 0; ; {
		rows, v := w.chunk(&next)
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			line = append(w.appendEntry(line[:0], v, r), '\n')
			if _, err := buffered.Write(line); err != nil {
				return fmt.Errorf("writing the ledger: %w", err)
			}
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	return nil
}

// writeEntries writes the ledger entries of the given rows as a list.
func (w *World) writeEntries(out io.Writer, numbers []uint32) error {
	w.reveal()
	text := []byte{'['}
	for i, n := range numbers {
		if i > 0 {
			text = append(text, ',')
		}
		w.mu.RLock()
		r, v := w.ledgerRow(n), w.view()
		w.mu.RUnlock()
		text = w.appendEntry(text, v, r)
		if len(text) > 1<<16 {
			if _, err := out.Write(text); err != nil {
				return fmt.Errorf("writing ledger entries: %w", err)
			}
			text = text[:0]
		}
	}
	if _, err := out.Write(append(text, "]\n"...)); err != nil {
		return fmt.Errorf("writing ledger entries: %w", err)
	}
	return nil
}

// ledgerRow is a row with what else the ledger says of it.
type ledgerRow struct {
	pageRow
	deletedAt int64
	listed    bool
}

// chunk is the next rows that are leads, from *next on, which it moves.
func (w *World) chunk(next *int) ([]ledgerRow, view) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var rows []ledgerRow
	for ; *next < len(w.rows) && len(rows) < ledgerChunk; *next++ {
		if !w.rows[*next].flags.has(flagFiller) {
			rows = append(rows, w.ledgerRow(uint32(*next)))
		}
	}
	return rows, w.view()
}

func (w *World) ledgerRow(n uint32) ledgerRow {
	r := ledgerRow{pageRow: w.pageRow(n), deletedAt: w.gone[n]}
	sw, now := w.switches.Load(), w.clock.millis()
	r.listed = r.visible <= now && w.listable(r.row, sw) && r.submitted >= now-retention.Milliseconds() &&
		!(r.flags.has(flagTest) && sw.TestLeads == "omitted_excludes")
	return r
}

// entries are the ledger entries of the given rows.
func (w *World) entries(numbers []uint32) ([]LedgerEntry, error) {
	w.reveal()
	entries := make([]LedgerEntry, len(numbers))
	for i, n := range numbers {
		w.mu.RLock()
		r, v := w.ledgerRow(n), w.view()
		w.mu.RUnlock()
		if err := json.Unmarshal(w.appendEntry(nil, v, r), &entries[i]); err != nil {
			return nil, fmt.Errorf("reading back a ledger entry: %w", err)
		}
	}
	return entries, nil
}

// appendEntry appends one entry as JSON, without a line break. It is written by
// hand because a ledger has a million of them.
func (w *World) appendEntry(dst []byte, v view, r ledgerRow) []byte {
	version := v.versions[r.version]
	dst = append(v.appendID(append(dst, `{"id":"`...), r.pageRow), `","submittedAt":`...)
	dst = append(strconv.AppendInt(dst, r.submitted, 10), `,"visibleAt":`...)
	dst = append(strconv.AppendInt(dst, r.visible, 10), `,"owner":"`...)
	dst = append(append(dst, version.form.Owner.Organization...), `","leadType":"`...)
	dst = append(append(dst, r.kind.String()...), '"')
	if r.event >= 0 {
		dst = append(strconv.AppendInt(append(dst, `,"event":"urn:li:event:`...), v.events[r.event].ID, 10), '"')
	}
	dst = append(append(dst, `,"form":`...), version.urnJSON...)
	dst = append(strconv.AppendInt(append(dst, `,"formId":"`...), version.form.ID, 10), `","formVersion":`...)
	dst = append(strconv.AppendInt(dst, int64(version.form.VersionID), 10), `,"testLead":`...)
	dst = append(strconv.AppendBool(dst, r.flags.has(flagTest)), `,"submitter":`...)
	dst = append(v.appendSubmitter(dst, r.pageRow), `,"answers":[`...)
	dst = append(v.answers(dst, r.pageRow, true), `],"consents":[`...)
	dst = append(v.consents(dst, r.pageRow), `],"listed":`...)
	dst = append(strconv.AppendBool(dst, r.listed), `,"deleted":`...)
	dst = strconv.AppendBool(dst, r.flags.has(flagDeleted))
	if r.deletedAt != 0 {
		dst = strconv.AppendInt(append(dst, `,"deletedAt":`...), r.deletedAt, 10)
	}
	dst = strconv.AppendBool(append(dst, `,"superseded":`...), r.flags.has(flagReplaced))
	if r.x != nil && r.x.malformed != "" {
		dst = append(append(dst, `,"malformed":`...), mustJSON(r.x.malformed)...)
	}
	return append(dst, '}')
}

// Leads is how many leads there are, visible or not.
func (w *World) Leads() int {
	w.mu.RLock()
	defer w.mu.RUnlock()
	leads := 0
	for i := range w.rows {
		if !w.rows[i].flags.has(flagFiller) {
			leads++
		}
	}
	return leads
}
