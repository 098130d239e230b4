import {
  ActionIcon,
  Group,
  Menu,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import {
  IconAdjustmentsHorizontal,
  IconBook2,
  IconBox,
  IconDeviceDesktop,
  IconDots,
  IconFlask,
  IconLogout,
  IconMoon,
  IconPackageImport,
  IconPlus,
  IconSun,
  IconTable,
} from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link, NavLink } from "react-router";
import { http, unwrap } from "@/api/client";
import { sessionQuery } from "@/api/queries";
import { Logo } from "@/components/layout/Logo";
import { HealthPill } from "./HealthPill";

export function Shell({ children }: { children: ReactNode }) {
  return (
    <>
      <a href="#content" className="skip-link">
        Skip to content
      </a>
      <header className="app-header">
        <Group h="100%" px={{ base: "sm", sm: "lg" }} gap="md" wrap="nowrap" justify="space-between">
          <Group gap="xs" wrap="nowrap">
            <Link to="/" className="plain-link" aria-label="RankScope, all runs">
              <Group gap={9} wrap="nowrap">
                <Logo />
                <Text fw={700} fz={16} visibleFrom="sm" style={{ letterSpacing: "-0.01em" }}>
                  RankScope
                </Text>
              </Group>
            </Link>
            <Group component="nav" aria-label="Pages" gap={2} ml={{ base: 0, sm: "md" }} wrap="nowrap">
              <NavLink to="/" end className="nav-link">
                Runs
              </NavLink>
              <Group visibleFrom="md" gap={2} wrap="nowrap">
                <NavLink to="/experiments" className="nav-link">
                  Experiments
                </NavLink>
                <NavLink to="/sweeps" className="nav-link">
                  Sweeps
                </NavLink>
                <NavLink to="/data" className="nav-link">
                  Data
                </NavLink>
                <NavLink to="/models" className="nav-link">
                  Models
                </NavLink>
              </Group>
              <NavLink to="/new" className="nav-link" aria-label="New run">
                <IconPlus size={14} aria-hidden />
                <Text span inherit visibleFrom="xs">
                  New run
                </Text>
              </NavLink>
            </Group>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <HealthPill />
            <ColourSchemeButton />
            <AccountMenu />
          </Group>
        </Group>
      </header>
      <main id="content" tabIndex={-1} style={{ outline: "none" }}>
        {children}
      </main>
    </>
  );
}

function ColourSchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useComputedColorScheme("light") === "dark";
  const label = isDark ? "Use light theme" : "Use dark theme";
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="default"
        size={34}
        aria-label={label}
        onClick={() => setColorScheme(isDark ? "light" : "dark")}
      >
        {isDark ? <IconSun size={17} /> : <IconMoon size={17} />}
      </ActionIcon>
    </Tooltip>
  );
}

function AccountMenu() {
  const client = useQueryClient();
  const { setColorScheme } = useMantineColorScheme();
  const signOut = useMutation({
    mutationFn: (everywhere: boolean) =>
      unwrap(http.DELETE("/api/v1/session", { params: { query: { everywhere } } })),
    onSuccess: () => {
      client.clear();
      client.setQueryData(sessionQuery.queryKey, { signed_in: false });
    },
  });
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <ActionIcon variant="default" size={34} aria-label="More">
          <IconDots size={17} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconDeviceDesktop size={15} />} onClick={() => setColorScheme("auto")}>
          Use system theme
        </Menu.Item>
        {/* On a phone or a tablet, the header has no room for these four. */}
        <Menu.Item component={Link} to="/experiments" hiddenFrom="md" leftSection={<IconFlask size={15} />}>
          Experiments
        </Menu.Item>
        <Menu.Item
          component={Link}
          to="/sweeps"
          hiddenFrom="md"
          leftSection={<IconAdjustmentsHorizontal size={15} />}
        >
          Sweeps
        </Menu.Item>
        <Menu.Item component={Link} to="/data" hiddenFrom="md" leftSection={<IconTable size={15} />}>
          Data
        </Menu.Item>
        <Menu.Item component={Link} to="/models" hiddenFrom="md" leftSection={<IconBox size={15} />}>
          Models
        </Menu.Item>
        <Menu.Item component={Link} to="/import" leftSection={<IconPackageImport size={15} />}>
          Import a run
        </Menu.Item>
        <Menu.Item component={Link} to="/glossary" leftSection={<IconBook2 size={15} />}>
          Glossary
        </Menu.Item>
        <Menu.Item
          component="a"
          href="/api/v1/openapi.json"
          target="_blank"
          leftSection={<span aria-hidden>{"{}"}</span>}
        >
          API (OpenAPI)
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => signOut.mutate(false)}>
          Sign out
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => signOut.mutate(true)}>
          Sign out everywhere
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
