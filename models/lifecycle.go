package models

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"galen/models/manifest"
)

// Settings are what people decided about models, apart from what the folders
// hold. They are kept over a restart by Options.Save.
type Settings struct {
	// Champions are the versions named champion of each model, the present one
	// last; those before it are what Rollback returns to.
	Champions map[string][]manifest.Version `json:"champions,omitempty"`
	// Challengers are the versions named challenger.
	Challengers map[string]manifest.Version `json:"challengers,omitempty"`
	// Stops says why a model (by name) or version (name@version) is switched off.
	Stops map[string]string `json:"stops,omitempty"`
}

func (s Settings) clone() Settings {
	out := Settings{Champions: maps.Clone(s.Champions), Challengers: maps.Clone(s.Challengers), Stops: maps.Clone(s.Stops)}
	for name, versions := range out.Champions {
		out.Champions[name] = slices.Clone(versions)
	}
	return out
}

func (s *Settings) champion(name string) manifest.Version {
	if list := s.Champions[name]; len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

// stopped says whether a version is switched off, by itself or with its model.
func (s *Settings) stopped(ref Ref) (reason string, yes bool) {
	if reason, yes = s.Stops[ref.Name]; !yes {
		reason, yes = s.Stops[ref.String()]
	}
	return reason, yes
}

// maxChampions is how many champions are remembered for Rollback.
const maxChampions = 16

// Settings are what holds now.
func (c *Catalog) Settings() Settings { return c.state.Load().settings.clone() }

// change makes one change of the settings, durably.
func (c *Catalog) change(op string, f func(*state, *Settings) error) error {
	c.changes.Lock()
	defer c.changes.Unlock()
	s := c.state.Load()
	next := s.clone()
	next.settings = s.settings.clone()
	if err := f(s, &next.settings); err != nil {
		return err
	}
	if c.opts.Save != nil {
		if err := c.opts.Save(next.settings.clone()); err != nil {
			return &Error{Op: op, Kind: Internal, Err: err}
		}
	}
	c.state.Store(next)
	return nil
}

var (
	errAlias    = errors.New("want a served version, and champion or challenger")
	errFirst    = errors.New("there is no earlier champion that is served")
	errReason   = errors.New("want a reason")
	errNoFolder = errors.New("no source holds such a folder")
)

// Promote names the version that Ref pins champion or challenger. Errors:
// NotFound when it is not served, BadInput for another alias, Internal.
func (c *Catalog) Promote(ref Ref, alias manifest.Version) error {
	return c.change("promote", func(s *state, next *Settings) error {
		if s.pinned(ref) == nil {
			return s.missing(ref)
		}
		switch alias {
		case Champion:
			if next.champion(ref.Name) == ref.Version {
				return nil
			}
			list := append(next.Champions[ref.Name], ref.Version)
			put(&next.Champions, ref.Name, list[max(0, len(list)-maxChampions):])
			if next.Challengers[ref.Name] == ref.Version {
				delete(next.Challengers, ref.Name)
			}
		case Challenger:
			put(&next.Challengers, ref.Name, ref.Version)
		default:
			return &Error{Op: "promote", Kind: BadInput, Model: ref.String(), Err: errAlias}
		}
		return nil
	})
}

func put[T any](m *map[string]T, name string, value T) {
	if *m == nil {
		*m = map[string]T{}
	}
	(*m)[name] = value
}

// Demote takes the challenger of a model back. Errors: NotFound when it has none.
func (c *Catalog) Demote(name string) error {
	return c.change("demote", func(s *state, next *Settings) error {
		if next.Challengers[name] == "" {
			return s.missing(Ref{Name: name, Version: Challenger})
		}
		delete(next.Challengers, name)
		return nil
	})
}

// Rollback makes the champion before the present one champion again, passing
// over those that are not served, and says which it is. Errors: NotFound.
func (c *Catalog) Rollback(name string) (Ref, error) {
	var to Ref
	err := c.change("roll back", func(s *state, next *Settings) error {
		list := next.Champions[name]
		for len(list) > 1 {
			list = list[:len(list)-1]
			to = Ref{Name: name, Version: list[len(list)-1]}
			if s.pinned(to) != nil {
				put(&next.Champions, name, list)
				return nil
			}
		}
		return &Error{Op: "roll back", Kind: NotFound, Model: name, Err: errFirst}
	})
	return to, err
}

// Stop switches a model off, all of it or the version that Ref pins: Acquire
// refuses it from now on, over restarts too, until Resume. Runs that have begun
// end as they would. The name need not be served. Errors: BadInput without a
// reason or for an alias, Internal when it cannot be saved.
func (c *Catalog) Stop(ref Ref, reason string) error {
	return c.change("stop", func(_ *state, next *Settings) error {
		if strings.TrimSpace(reason) == "" || ref.Alias() {
			return &Error{Op: "stop", Kind: BadInput, Model: ref.String(), Err: errReason}
		}
		put(&next.Stops, ref.String(), reason)
		return nil
	})
}

// Resume takes back exactly one Stop. Errors: NotFound.
func (c *Catalog) Resume(ref Ref) error {
	return c.change("resume", func(s *state, next *Settings) error {
		if _, stopped := next.Stops[ref.String()]; !stopped {
			return s.missing(ref)
		}
		delete(next.Stops, ref.String())
		return nil
	})
}

// Reload loads a version from its source again, or every version of a model that
// any source holds, and swaps what is loaded for what was served: those who hold
// the old one keep it until they release it. What does not hold its checks is in
// Refused, and the version that was served goes on. Errors: NotFound when no
// source has such a folder, Refused when the pinned version was refused, Timeout.
func (c *Catalog) Reload(ctx context.Context, ref Ref) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	var b batch
	seen := map[string]bool{}
	for _, src := range c.sources {
		folders, err := foldersOf(src, ref)
		if err != nil {
			return errors.Join(&Error{Op: "reload", Kind: Internal, Model: ref.String(), Err: err}, closeAll(b.loaded))
		}
		for _, folder := range folders {
			if seen[folder] {
				continue
			}
			seen[folder] = true
			if err := c.into(ctx, &b, src, folder, true); err != nil {
				return err
			}
		}
	}
	if len(seen) == 0 {
		return &Error{Op: "reload", Kind: NotFound, Model: ref.String(), Err: errNoFolder}
	}
	c.publish(&b)
	if ref.Version != "" && len(b.refused) > 0 {
		return b.refused[0].Err
	}
	return nil
}

// foldersOf lists the folders of a source that a Ref means.
func foldersOf(src Source, ref Ref) ([]string, error) {
	all, err := list(src)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(folder string) bool {
		if ref.Version != "" {
			return folder != path.Join(ref.Name, string(ref.Version))
		}
		return path.Dir(folder) != ref.Name
	}), nil
}

// Known is a version that some source holds.
type Known struct {
	Ref    Ref
	Ready  bool
	Reason string // why it is not
}

// Known lists every version that is served or that a source holds, by name and
// newest first. Errors: Internal when a source cannot be listed.
func (c *Catalog) Known() ([]Known, error) {
	c.loading.Lock()
	sources := slices.Clone(c.sources)
	c.loading.Unlock()
	s := c.state.Load()
	found := map[Ref]Known{}
	for _, src := range sources {
		folders, err := list(src)
		if err != nil {
			return nil, &Error{Op: "list catalog " + src.Name, Kind: Internal, Err: err}
		}
		for _, folder := range folders {
			ref := Ref{Name: path.Dir(folder), Version: manifest.Version(path.Base(folder))}
			found[ref] = Known{Ref: ref, Reason: "not loaded"}
		}
	}
	for _, r := range s.refused {
		ref := Ref{Name: path.Dir(r.Path), Version: manifest.Version(path.Base(r.Path))}
		if _, listed := found[ref]; listed {
			found[ref] = Known{Ref: ref, Reason: r.Err.Error()}
		}
	}
	for _, versions := range s.versions {
		for _, v := range versions {
			reason, stopped := s.settings.stopped(v.info.Ref)
			found[v.info.Ref] = Known{Ref: v.info.Ref, Ready: !stopped, Reason: reason}
		}
	}
	out := slices.Collect(maps.Values(found))
	slices.SortFunc(out, func(a, b Known) int {
		if a.Ref.Name != b.Ref.Name {
			return strings.Compare(a.Ref.Name, b.Ref.Name)
		}
		return b.Ref.Version.Compare(a.Ref.Version)
	})
	return out, nil
}

// Check loads one folder of a source as Load would, closes it and says what it
// is. Nothing is served. Errors: Refused with the reason, Timeout.
func Check(ctx context.Context, opts Options, src Source, ref Ref) (*Info, error) {
	opts.defaults()
	c := &Catalog{opts: opts, lane: make(chan struct{}, opts.Lane)}
	c.state.Store(&state{})
	v, err := c.load(ctx, src, path.Join(ref.Name, string(ref.Version)), false)
	if err != nil {
		return nil, err
	}
	return &v.info, closeAll([]*version{v})
}
