package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"leadstream/config"
)

// process is what the operating system gives a command; tests give their own.
type process struct {
	args    []string // without the program's name
	environ []string // as of os.Environ
	stdin   io.Reader
	stdout  io.Writer // results
	stderr  io.Writer // logs, progress, errors
}

// run is the whole program: it runs one command to its end and returns the
// exit code. When ctx ends, the command drains and ends.
func run(ctx context.Context, p process) int {
	out := &results{w: p.stdout}
	p.stdout = out
	a := &app{process: p}
	root := newRoot(a)
	root.SetArgs(p.args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	a.completeRoot(root) // which takes standard output as it is now
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = a.misused
	}
	if lost := out.failure(); lost != nil { // whatever came of the command, nobody sees it
		a.started, err = true, exitWith(exitUnexpected, fmt.Errorf("writing the result to standard output: %w", lost))
	}
	if err == nil {
		return exitDone
	}
	if !a.started { // refused by the flags or arguments alone
		err = &exitError{code: exitUsage, err: err}
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(p.stderr, "leadstream: %s\n", text)
	}
	return exitCode(err)
}

// results is standard output. It remembers that something could not be written, which
// not everybody who prints asks. It is safe for concurrent use.
type results struct {
	w io.Writer

	mu  sync.Mutex
	err error
}

// Write implements io.Writer.
func (r *results) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	if err != nil {
		r.mu.Lock()
		r.err = cmp.Or(r.err, err)
		r.mu.Unlock()
	}
	return n, err
}

func (r *results) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// app is what the commands share: the process they run in and the flags that
// all of them have.
type app struct {
	process
	configPath string   // -c
	settings   []string // --set
	output     string   // -o, of the commands that have it
	started    bool     // whether a command's own code was reached
	misused    error    // what was asked for help about and is not there
}

// newRoot is the command tree. Each command stands in a file of its own and
// is added here.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "leadstream",
		Short: "LinkedIn leads to Kafka, each exactly once",
		Long: `leadstream reads the leads of LinkedIn lead forms and publishes each of them
once to Kafka: one topic and one registered Avro schema per form.

To see it work with nothing installed:   leadstream demo
To connect it to LinkedIn:               leadstream auth login
To run it:                               leadstream run

Settings come from flags, else from LEADSTREAM_ variables, else from a YAML
file, else they are the defaults; "leadstream config" shows all of them and
where each came from.

Exit codes: 0 done, 1 unexpected or a crash, 2 usage or configuration, 3 consent needed,
4 fenced by a program that uses the same transactional id, 5 something it
depends on cannot be reached, 6 differences were found.`,
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.configPath, "config", "c", "", "configuration `FILE` (default leadstream.yaml in the working directory, if there is one)")
	flags.StringArrayVar(&a.settings, "set", nil, "a setting as `KEY=VALUE`, over environment and file; may be repeated (not for secrets)")
	root.AddCommand(
		newAuth(a),
		newConfig(a),
		newCheck(a),
		newCheckpoints(a),
		newDeadLetters(a),
		newDemo(a),
		newForms(a),
		newHealth(a),
		newRun(a),
		newSchema(a),
		newSimulate(a),
		newTail(a),
		newTeardown(a),
		newVersion(a),
	)
	a.watchStart(root)
	return root
}

// newGroup is a command that has others and does nothing itself.
func newGroup(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(commands...)
	return cmd
}

// completeRoot has what cobra adds to the commands refuse what it does not know:
// help and completion, and --help after a command that is not there.
func (a *app) completeRoot(root *cobra.Command) {
	root.SetFlagErrorFunc(flagError)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err != nil {
					return err
				}
				return noArgs(found, rest)
			}
		case "completion":
			cmd.Args, cmd.SuggestionsMinimumDistance = noArgs, root.SuggestionsMinimumDistance
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd.HasSubCommands() {
			a.misused = noArgs(cmd, cmd.Flags().Args())
		}
		if a.misused == nil {
			help(cmd, args)
		}
	})
}

// refuseSettings refuses the flags of the configuration where there is none; why
// is for the error.
func refuseSettings(cmd *cobra.Command, why string) error {
	for _, flag := range []string{"config", "set"} {
		if cmd.Flags().Changed(flag) {
			return usageErrorf("--%s has no effect on %s, which %s: leave it out", flag, cmd.CommandPath(), why)
		}
	}
	return nil
}

// watchStart notes when a command's own code begins: errors before that are
// errors of usage, whatever cobra made them of.
func (a *app) watchStart(cmd *cobra.Command) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.started = true
			return inner(cmd, args)
		}
	}
	for _, child := range cmd.Commands() {
		a.watchStart(child)
	}
}

// noArgs refuses arguments, and names the likely meant command if there is one.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + cmd.CommandPath() + " --help"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + near[0] + "?"
	}
	return fmt.Errorf("%s has no command or argument %q, %s", cmd.CommandPath(), args[0], hint)
}

// load reads the configuration and makes the logger that it asks for.
// Warnings about the configuration are logged. required names keys without
// which the command cannot work.
func (a *app) load(required ...string) (*config.Config, *zap.Logger, error) {
	c, warnings, err := a.readConfig(required...)
	if err != nil {
		for _, w := range warnings {
			fmt.Fprintf(a.stderr, "leadstream: warning: %s\n", w)
		}
		return nil, nil, err
	}
	log, err := newLogger(c.Log, a.stderr)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range warnings {
		log.Warn("configuration", zap.String("key", w.Key), zap.String("reason", w.Text),
			zap.String("todo", "change the setting, or leave it so if that is meant"))
	}
	return c, log, nil
}

func (a *app) readConfig(required ...string) (*config.Config, []config.Warning, error) {
	flags, err := config.FlagValues(a.settings)
	if err != nil {
		return nil, nil, err
	}
	return config.Load(config.LoadOptions{
		Path:    a.configPath,
		Environ: a.environ,
		Flags:   flags,
		Require: required,
	})
}
