package checkpoint

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"leadstream/internal/lead"
)

func minute(m int) time.Time { return t0.Add(time.Duration(m) * time.Minute) }

// deferAt is the deferred window with leads at these minutes deferred under one bound.
func deferAt(d DeferredWindow, b Bound, minutes ...int) DeferredWindow {
	for _, m := range minutes {
		d, _ = d.Defer(minute(m), b, 1)
	}
	return d
}

func windows(d DeferredWindow) (all []lead.Window) {
	for _, r := range d.Parts() {
		all = append(all, r.Window())
	}
	return all
}

func one(m int) lead.Window { return lead.Window{From: minute(m), To: minute(m).Add(time.Millisecond)} }

func TestWhatIsDeferredKeepsItsOwnBound(t *testing.T) {
	fresh, asked := Bound{Fresh: true}, Bound{Explicit: true}
	d := deferAt(DeferredWindow{}, asked, 0)
	d = deferAt(d, fresh, 30)
	d = deferAt(d, Bound{}, 31)
	d = deferAt(d, fresh, 40)
	want := []DeferredRange{{From: minute(0), To: one(0).To, Bound: asked}, {From: minute(30), To: one(40).To, Bound: fresh}, {From: minute(31), To: one(31).To}}
	got := d.Parts()
	if len(got) != len(want) {
		t.Fatalf("ranges = %+v, want %d of them", got, len(want))
	}
	for i := range want {
		if got[i].Window() != want[i].Window() || got[i].Bound != want[i].Bound {
			t.Errorf("range %d = %+v, want %+v", i, got[i], want[i])
		}
	}
	if !d.Explicit || !d.Fresh.Equal(minute(30)) || d.Window() != (lead.Window{From: minute(0), To: one(40).To}) {
		t.Errorf("the hull is %s, fresh from %v, explicit %v", d.Window(), d.Fresh, d.Explicit)
	}
}

func TestLeadsFarApartAreDeferredApart(t *testing.T) {
	d := deferAt(DeferredWindow{}, Bound{}, 0, 50, 200, 150, 5)
	if got, want := windows(d), []lead.Window{{From: minute(0), To: one(50).To}, {From: minute(150), To: one(200).To}}; !slices.Equal(got, want) {
		t.Errorf("ranges = %v, want %v", got, want)
	}
}

func TestADeferredWindowHasABoundedNumberOfRanges(t *testing.T) {
	d := DeferredWindow{}
	for i := range 200 {
		d = deferAt(d, Bound{Fresh: i%2 == 0}, i*120)
	}
	if got := d.Parts(); len(got) > maxDeferred {
		t.Errorf("%d ranges, want at most %d", len(got), maxDeferred)
	}
	for i := range 200 {
		if !slices.ContainsFunc(d.Parts(), func(r DeferredRange) bool {
			return r.Fresh == (i%2 == 0) && r.Window().Contains(minute(i*120))
		}) {
			t.Fatalf("the lead of minute %d is deferred no more", i*120)
		}
	}
}

func TestNothingJoinsARangeThatWasPublishedBehind(t *testing.T) {
	d := deferAt(DeferredWindow{}, Bound{Fresh: true}, 0)
	d, changed := d.Published(minute(10)) // the form went on for a while
	if changed {
		t.Error("a lead outside the range changes what is stored")
	}
	if d = deferAt(d, Bound{Fresh: true}, 20); len(d.Parts()) != 2 {
		t.Errorf("ranges = %v, want two: what lies between was published", windows(d))
	}
	d, changed = d.Published(minute(0))
	if !changed || d.Parts()[0].Fresh || !d.Parts()[1].Fresh {
		t.Errorf("after a lead of the first range was published it is %+v", d.Parts())
	}
}

func TestAPartThatWasReadBeforeItWasDeferredAgainStaysDeferred(t *testing.T) {
	d, _ := DeferredWindow{}.Defer(minute(0), Bound{}, 1)
	d, _ = d.Defer(minute(30), Bound{}, 1)
	whole := d.Window()
	again, changed := d.Defer(minute(10), Bound{}, 3)
	if changed {
		t.Error("a lead that is covered already changes what is stored")
	}
	if left := again.Reconciled(whole, Bound{}, 2); !slices.Equal(windows(left), []lead.Window{whole}) {
		t.Errorf("left is %v, want %v", windows(left), whole)
	}
	if left := again.Reconciled(whole, Bound{Explicit: true}, 4); !slices.Equal(windows(left), []lead.Window{whole}) {
		t.Errorf("work with another bound left %v, want %v", windows(left), whole)
	}
	if left := again.Reconciled(whole, Bound{}, 4); len(left.Parts()) != 0 {
		t.Errorf("left is %v, want nothing", windows(left))
	}
}

func TestADeferredWindowOfAnEarlierReleaseIsTwoRangesAtMost(t *testing.T) {
	for name, want := range map[string][]DeferredRange{
		`{"from":"2026-11-01T00:00:00Z","to":"2026-11-01T00:10:00Z","fresh":"2026-11-01T00:04:00Z"}`: {
			{From: minute(0), To: minute(4)}, {From: minute(4), To: minute(10), Bound: Bound{Fresh: true}}},
		`{"from":"2026-11-01T00:00:00Z","to":"2026-11-01T00:10:00Z","fresh":"2026-11-01T00:30:00Z"}`: {{From: minute(0), To: minute(10)}},
		`{"from":"2026-11-01T00:00:00Z","to":"2026-11-01T00:10:00Z"}`:                                {{From: minute(0), To: minute(10), Bound: Bound{Fresh: true}}},
		`{"from":"2026-11-01T00:00:00Z","to":"2026-11-01T00:10:00Z","explicit":true}`:                {{From: minute(0), To: minute(10), Bound: Bound{Explicit: true}}},
		`{}`: nil,
	} {
		var d DeferredWindow
		if err := json.Unmarshal([]byte(name), &d); err != nil {
			t.Fatal(err)
		}
		if got := d.Parts(); !slices.Equal(got, want) {
			t.Errorf("%s: ranges = %+v, want %+v", name, got, want)
		}
	}
}
