import { Tabs } from "@mantine/core";
import { useEffect, useRef } from "react";

interface TabListProps {
  tabs: readonly (readonly [name: string, title: string])[];
  active: string;
}

/** The tabs; on a phone, where they are a row to scroll, the active one is always in view. */
export function TabList({ tabs, active }: TabListProps) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const list = element.current;
    const tab = list?.querySelector(`[data-tab="${active}"]`)?.getBoundingClientRect();
    const row = list?.getBoundingClientRect();
    if (list && tab && row && (tab.left < row.left || tab.right > row.right))
      list.scrollLeft += tab.left - row.left - 24;
  }, [active]);
  return (
    <Tabs.List mb="md" ref={element}>
      {tabs.map(([name, title]) => (
        <Tabs.Tab key={name} value={name} data-tab={name}>
          {title}
        </Tabs.Tab>
      ))}
    </Tabs.List>
  );
}
