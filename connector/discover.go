package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// discovery finds organizations, events and forms. Its first part, the organizations, starts
// the sources.
type discovery struct {
	*session
	start func(context.Context, lead.Source) // begins the work of a source, once
}

// run discovers at once, and then at every discovery interval.
func (d *discovery) run(ctx context.Context) error {
	for {
		var failed []string
		var recovered <-chan struct{}
		next := time.Now().Add(d.opts.Discovery)
		err := d.retry(ctx, "", "discovery", func(ctx context.Context) (err error) {
			recovered = d.resumed() // a consent that is given meanwhile may show more
			failed, err = d.discover(ctx)
			return err
		})
		if err != nil {
			return err
		}
		for len(failed) > 0 && time.Until(next) > discoverAgain {
			again := time.Now().Add(discoverAgain)
			if err := d.rest(ctx, again, recovered); err != nil {
				return err
			}
			if time.Now().Before(again) { // there is something new to discover
				next = time.Now()
				break
			}
			if failed, err = d.owners(ctx, failed); err != nil {
				return err
			}
		}
		if err := d.rest(ctx, next, recovered); err != nil {
			return err
		}
	}
}

// discoverAgain is the wait before the organizations whose events or forms could
// not be read, and those alone, are tried again.
const discoverAgain = 30 * time.Second

// discover reads what there is. One organization that cannot be read never
// hides the others; those whose events or forms failed for the moment are named.
func (d *discovery) discover(ctx context.Context) (failed []string, err error) {
	orgs, err := d.organizations(ctx)
	if err != nil {
		return nil, err
	}
	var owners []string
	for _, org := range orgs {
		if org.Problem == "" {
			owners = append(owners, org.URN)
		}
	}
	if failed, err = d.owners(ctx, owners); err != nil {
		return nil, err
	}
	if err := d.forms.Verify(ctx); err != nil {
		return nil, err
	}
	d.catalog.finish()
	return failed, nil
}

// owners reads the events and forms of organizations; the answer names
// those to be tried again. Its error ends the session.
func (d *discovery) owners(ctx context.Context, owners []string) (failed []string, err error) {
	for _, owner := range owners {
		work := "reading the events and forms of " + owner
		err := d.events(ctx, owner)
		if err == nil {
			d.issues.Resolve(work)
			continue
		}
		if ctx.Err() != nil || kafka.EndsSession(err) {
			return nil, err
		}
		d.issues.ReportAs(owner, work, "events and forms of an organization cannot be read; they are tried again", err)
		switch {
		case fault.KindOf(err) == fault.Suspend:
			d.suspect()
		case fault.DelayOf(err) <= discoverAgain: // else the next discovery is soon enough
			failed = append(failed, owner)
		}
	}
	return failed, nil
}

// events makes the topic and schema of every form that an event of the
// organization asks for, and takes note of new versions of the others it knows.
func (d *discovery) events(ctx context.Context, owner string) error {
	ctx = lead.Background(ctx)
	events, err := d.opts.LinkedIn.Events(ctx, owner)
	if err != nil {
		return fmt.Errorf("reading the events: %w", err)
	}
	d.catalog.setEvents(owner, events)
	listed, err := d.opts.LinkedIn.Forms(ctx, owner)
	if err != nil {
		return fmt.Errorf("reading the forms: %w", err)
	}
	onEvents := map[string]bool{}
	for _, ev := range events {
		onEvents[ev.Form.ID] = true
	}
	found := map[string]bool{}
	for _, f := range listed {
		found[f.ID] = true
	}
	var failed []error // for the moment: they are read again soon
	for id := range onEvents {
		if id == "" || found[id] {
			continue
		}
		f, err := d.opts.LinkedIn.Form(ctx, id)
		switch {
		case err == nil:
			listed = append(listed, f)
		case fault.RefusalOf(err) == fault.Gone:
			if d.news("form "+id, err.Error()) {
				d.log.Warn("LinkedIn does not show the form of an event", zap.String("form", id), zap.Error(err), todoField(err))
			}
		case fault.KindOf(err) == fault.Suspend: // forbidden, or our request is wrong
			d.forms.Refuse(id, owner, err)
		default:
			failed = append(failed, fmt.Errorf("reading form %s of an event: %w", id, err))
		}
	}
	if err := d.forms.Listed(ctx, listed, onEvents); err != nil {
		return err
	}
	return errors.Join(failed...)
}
