package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"leadstream/config"
	"leadstream/internal/delivery"
	"leadstream/internal/oauth"
)

// newAuth is "leadstream auth": the connection to the LinkedIn member.
func newAuth(a *app) *cobra.Command {
	cmd := newGroup("auth", "Connect to LinkedIn, look after the connection, end it", newAuthLogin(a), newAuthStatus(a), newAuthLogout(a))
	cmd.Long = `Leads are read on behalf of a LinkedIn member who administers the
organizations. The member consents once in the browser; the tokens are kept where
token.store says and renewed by the connector until the consent ends after a year.`
	cmd.SuggestionsMinimumDistance = 2 // as cobra has it, which sets it for the root alone
	return cmd
}

// newAuthLogin is "leadstream auth login".
func newAuthLogin(a *app) *cobra.Command {
	var noBrowser, paste bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Give LinkedIn's consent in the browser",
		Long: `Prints the address of LinkedIn's consent page, opens it in a browser, and
stores the tokens once the member has allowed the access.

It may be run beside connectors: whichever process gets LinkedIn's answer, this
command ends and they go on with the new tokens within seconds. On a machine without
a browser use --paste: open the address elsewhere, and paste the address that
the browser ends at, even though no page appears there.

Ends with 3 when the consent was not given or lacks scopes.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.login(cmd.Context(), oauth.LoginOptions{Browser: !noBrowser && !paste, Paste: paste, In: a.stdin, Out: a.stdout})
		},
	}
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "only print the address")
	cmd.Flags().BoolVar(&paste, "paste", false, "read the address that the browser ends at from standard input")
	return cmd
}

func (a *app) login(ctx context.Context, o oauth.LoginOptions) error {
	s, err := a.connection(useTokens)
	if err != nil {
		return err
	}
	defer s.close()
	token, err := s.session.Login(ctx, o)
	if err != nil {
		return fmt.Errorf("connecting to LinkedIn: %w", err)
	}
	kept := "not encrypted, token.passphrase is not set"
	if s.config.Token.Passphrase.IsSet() {
		kept = "encrypted"
	}
	text := fmt.Sprintf("Connected to LinkedIn. The tokens are in %s (%s).\nThe access token ends on %s", tokenPlace(s.config), kept, date(token.AccessExpiresAt))
	if token.Refresh == "" {
		text += "; LinkedIn gave no refresh token, so log in again before.\n"
	} else {
		text += " and is renewed by itself; log in again before " + date(token.RefreshExpiresAt) + ".\n"
	}
	return a.print(text)
}

// newAuthStatus is "leadstream auth status".
func newAuthStatus(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how long the connection to LinkedIn lasts, and whether it works",
		Long: `Reads the stored tokens and asks LinkedIn about them; it renews and changes
nothing. Ends with 0 when the connection is usable, with 3 when it is not until a
person acts (also when a running connector was refused a renewal, or could not
store one), with 5 when LinkedIn could not be asked.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.connection(lookAtTokens)
			if err != nil {
				return err
			}
			defer s.close()
			status, err := s.session.Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.printStatus(status)
		},
	}
	a.addOutput(cmd)
	return cmd
}

// printStatus prints the status and turns it into the exit code.
func (a *app) printStatus(st oauth.Status) error {
	shown := struct {
		oauth.Status
		Checked  bool   `json:"checked"` // whether LinkedIn was asked
		Error    string `json:"error,omitempty"`
		Unstored string `json:"storage_error,omitempty"` // why a renewed token could not be stored
	}{Status: st, Checked: st.Unchecked == nil}
	if st.Unchecked != nil {
		shown.Error = st.Unchecked.Error()
	}
	if st.Unstored != nil {
		shown.Unstored = st.Unstored.Error()
	}
	var err error
	if a.output == "json" {
		err = printJSON(a.stdout, shown)
	} else {
		err = a.print(statusText(st, terminalWidth(a.stdout)))
	}
	switch {
	case err != nil:
		return err
	case !st.Usable:
		return exitWith(exitConsent, nil)
	case st.Unchecked != nil:
		return exitWith(exitUnreachable, nil)
	}
	return nil
}

// statusText is the status as people read it.
func statusText(st oauth.Status, width int) string {
	var lines []table.Row
	row := func(title, value string) {
		if value != "" {
			lines = append(lines, table.Row{title, printable(value)})
		}
	}
	row("usable", map[bool]string{true: "yes", false: "no"}[st.Usable])
	row("problem", st.Problem)
	row("what to do", st.Todo)
	row("note", st.Note)
	if st.Unchecked != nil {
		row("not checked", "LinkedIn could not be asked: "+st.Unchecked.Error())
	}
	if st.Unstored != nil {
		row("not storable", "a renewed token could not be stored: "+st.Unstored.Error())
	}
	if !st.AuthorizedAt.IsZero() {
		row("LinkedIn says", st.LinkedIn)
		row("consent given", date(st.AuthorizedAt))
		row("access token", ends(st.AccessExpiresAt, st.AccessDaysLeft))
		if st.Refreshable {
			row("refresh token", ends(st.RefreshExpiresAt, st.RefreshDaysLeft))
		} else {
			row("refresh token", "none")
		}
		row("scopes", strings.Join(st.Scopes, " "))
		row("scopes missing", strings.Join(st.Missing, " "))
	}
	return aligned(lines, width) + "\n"
}

// newAuthLogout is "leadstream auth logout".
func newAuthLogout(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Remove the stored tokens",
		Long: `Removes the tokens, also those that cannot be read any more. A running
connector stops reading LinkedIn within seconds and waits for a new login.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.kafkaAlone()
			if err != nil {
				return err
			}
			defer s.close()
			place := tokenPlace(s.config)
			token, err := oauth.Logout(cmd.Context(), newTokenStore(s.config, s.cluster, s.log))
			if errors.Is(err, oauth.ErrNoToken) {
				return a.print("There is no token in " + place + ".\n")
			}
			if err != nil {
				return err
			}
			return a.print(logoutText(place, token))
		},
	}
}

// logoutText says what LinkedIn still holds.
func logoutText(place string, token oauth.Token) string {
	text := "The tokens were removed from " + place + ".\n"
	switch {
	case token.IsZero():
		text += "LinkedIn goes on accepting them until they expire"
	case token.Refresh == "":
		text += "LinkedIn goes on accepting the access token until " + date(token.AccessExpiresAt)
	default:
		text += "LinkedIn goes on accepting the access token until " + date(token.AccessExpiresAt) +
			" and the refresh token until " + date(token.RefreshExpiresAt)
	}
	return text + ". To end that at once, the member\nremoves the app on LinkedIn: Settings & Privacy, Data privacy, Permitted services.\n"
}

// tokenPlace names where the configuration keeps the tokens.
func tokenPlace(c *config.Config) string {
	if c.Token.Store == "kafka" {
		return "topic " + delivery.CheckpointTopic(c.Name)
	}
	return c.Token.File
}

// print writes a result that is a text.
func (a *app) print(text string) error {
	if _, err := fmt.Fprint(a.stdout, text); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

func date(t time.Time) string {
	if t.IsZero() {
		return "a day LinkedIn did not tell"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// ends is a token's end with the days that are left.
func ends(t time.Time, days *int) string {
	switch {
	case days == nil:
		return "until " + date(t)
	case *days < 0:
		return "expired on " + date(t)
	case *days == 1:
		return "until " + date(t) + " (1 day left)"
	}
	return fmt.Sprintf("until %s (%d days left)", date(t), *days)
}
