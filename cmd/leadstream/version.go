package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

// release is the version of this build; a release sets it with
// -ldflags "-X main.release=v1.2.3". Without it the module's version counts.
var release string

// binary is what this program was made of.
type binary struct {
	Version   string   `json:"version"`
	Commit    string   `json:"commit"`
	Time      string   `json:"commitTime,omitempty"`
	Modified  bool     `json:"modified"` // built from files that were not committed
	Go        string   `json:"go"`
	Platform  string   `json:"platform"`
	Libraries []module `json:"libraries"`
}

type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// readBuild is this binary's build, as the Go tool recorded it.
func readBuild() binary {
	b := binary{Version: release, Commit: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Libraries: []module{}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		b.Version = cmp.Or(b.Version, "unknown")
		return b
	}
	b.Version = cmp.Or(b.Version, info.Main.Version, "(devel)")
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		b.Libraries = append(b.Libraries, module{d.Path, d.Version})
	}
	slices.SortFunc(b.Libraries, func(x, y module) int { return cmp.Compare(x.Path, y.Path) })
	return b
}

// newVersion is "leadstream version".
func newVersion(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Version, commit, Go and library versions",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := refuseSettings(cmd, "has no configuration"); err != nil {
				return err
			}
			return a.showVersion(readBuild())
		},
	}
	a.addOutput(cmd)
	return cmd
}

func (a *app) showVersion(b binary) error {
	if a.output == "json" {
		return printJSON(a.stdout, b)
	}
	commit := b.Commit
	if b.Modified {
		commit += " (modified)"
	}
	if _, err := fmt.Fprintf(a.stdout, "leadstream %s\ncommit %s %s\n%s %s\n\n", b.Version, commit, b.Time, b.Go, b.Platform); err != nil {
		return fmt.Errorf("writing the version: %w", err)
	}
	return printList(a, b.Libraries, []string{"LIBRARY", "VERSION"}, func(m module) []string {
		return []string{m.Path, m.Version}
	})
}

// buildInfo is the metric leadstream_build_info.
func buildInfo() prometheus.Collector {
	b := readBuild()
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "leadstream_build_info", Help: "1, labelled with the version of this build.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "go": b.Go},
	})
	g.Set(1)
	return g
}
