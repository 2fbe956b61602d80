// Package linkedinsim is a simulated LinkedIn: the part of LinkedIn's OAuth,
// organizations, Events and Lead Sync APIs that a reader of event leads uses,
// over HTTP, with a world of organizations, events, forms and leads behind it.
// The simulate and demo commands, the client's tests and the integration suite
// talk to it as they would to LinkedIn.
//
// It is strict where LinkedIn is strict (Rest.li 2.0 encoding, headers, scopes,
// roles, limits) and awkward where LinkedIn is awkward (short pages that are not
// the last, rows that shift under a scan, an empty 200 for a double-encoded
// parameter). What LinkedIn does not document is a field of Switches, and
// Variants lists each alternative alone. Every lead ever made stands in the
// ledger, so that what arrived can be compared with what was sent.
//
// It also notifies: webhooks are registered over leadNotifications, challenged
// every two hours and told of each lead made and each member who leaves. All
// that is sent is sent by Server.Run, which ends when its context and what is
// under way have ended; a server without Run answers requests and sends nothing
// but what Server.Notify, Validate, Unblock and Resend are called for.
//
// It has three rooms. The world (World) is data under one lock: the catalog of
// organizations, events and forms, leads, tokens, subscriptions. The API is a
// table of routes, whose parameters are read before their handlers, functions
// over the world, answer. Control schedules faults, of which each kind is a row
// of a table, sets switches and tells what was made.
//
// The package imports nothing else of this module: client and simulator must
// not be able to share a mistake. It answers from generated, synthetic data
// only, the same for the same seed. All exported methods are safe for
// concurrent use.
//
// Sources: LinkedIn's API documentation (OAuth authorization code flow,
// programmatic refresh tokens, token introspection, Rest.li protocol versions,
// error handling, pagination, rate limits, Organization Access Control, Events,
// Lead Sync, webhook validation) and, for behaviour that is not written there,
// what integrators have reported.
package linkedinsim
