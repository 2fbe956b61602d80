package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"leadstream/config"
)

// newConfig is "leadstream config".
func newConfig(a *app) *cobra.Command {
	var example bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "The effective configuration, and where each value came from",
		Long: `Shows every setting with the value in force and the place it came from: a
flag, an environment variable, a line of the file, or the default. Secrets
are redacted. Ends with 2, and with everything that is wrong, when the
configuration is not valid.

To begin a configuration of your own:

  leadstream config --example > leadstream.yaml`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if example {
				_, err := fmt.Fprint(a.stdout, config.Example())
				return err
			}
			return a.showConfig()
		},
	}
	cmd.Flags().BoolVar(&example, "example", false, "print a configuration file with every key, its meaning and its default")
	a.addOutput(cmd)
	return cmd
}

func (a *app) showConfig() error {
	c, warnings, err := a.readConfig()
	for _, w := range warnings {
		fmt.Fprintf(a.stderr, "leadstream: warning: %s\n", w)
	}
	if err != nil {
		return err
	}
	return printList(a, c.Values(), []string{"KEY", "VALUE", "SOURCE"}, func(v config.Value) []string {
		return []string{v.Key, v.Value, v.Source}
	})
}
