import { Button } from "@mantine/core";
import { useEffect } from "react";
import { useLocation } from "react-router";
import { useLink } from "@/components/server/use-link";
import { clock } from "@/components/text/format";
import { canReload, forgetTyping } from "./typed";

/** Of the server's build that the page was reloaded for: a cache that serves the old one must not reload it for ever. */
const reloadedKey = "rankscope-reloaded-at";
const reloadPauseMs = 60_000;

/** The one place that says that the server is unreachable, or that there is a newer page. Lies over the page: nothing moves. */
export function LinkBanner() {
  const { isReachable, isUpdated, heardAt } = useLink();
  const { pathname } = useLocation();
  useEffect(forgetTyping, [pathname]);
  useEffect(() => {
    if (isReachable && isUpdated && canReload()) reloadOnce();
  }, [isReachable, isUpdated, pathname]);

  if (!isReachable) {
    return (
      <div className="link-banner" data-kind="unreachable" role="alert" data-testid="link-banner">
        <span>
          <strong>Server unreachable.</strong> Reconnecting…
        </span>
        <span className="numbers link-banner-note">Last answer at {clock(heardAt / 1000)}</span>
      </div>
    );
  }
  if (!isUpdated) return null;
  return (
    <div className="link-banner" data-kind="updated" role="status" data-testid="link-banner">
      <span>
        <strong>RankScope was updated.</strong>
      </span>
      <Button size="compact-xs" variant="white" onClick={() => window.location.reload()}>
        Reload
      </Button>
    </div>
  );
}

function reloadOnce(): void {
  const before = Number(window.sessionStorage.getItem(reloadedKey) ?? 0);
  if (Date.now() - before < reloadPauseMs) return;
  window.sessionStorage.setItem(reloadedKey, String(Date.now()));
  window.location.reload();
}
