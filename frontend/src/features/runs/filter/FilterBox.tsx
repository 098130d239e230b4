import { Combobox, Group, Text, TextInput, useCombobox } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconFilter } from "@tabler/icons-react";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { filterCheckQuery } from "@/features/runs/query/queries";

interface FilterBoxProps {
  value: string;
  onApply: (filter: string) => void;
}

/** A condition in the filter language, completed and checked while it is typed. Enter applies it. */
export function FilterBox({ value, onApply }: FilterBoxProps) {
  const [text, setText] = useState(value);
  const [at, setAt] = useState(value.length);
  const [isTyping, setTyping] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const combobox = useCombobox({ onDropdownClose: () => combobox.resetSelectedOption() });
  // Back and Forward, and saved views, change the address without typing.
  useEffect(() => setText(value), [value]);
  const [asked] = useDebouncedValue({ text, at }, 120);
  const check = useQuery({
    ...filterCheckQuery(asked.text, asked.at),
    enabled: isTyping || value !== "",
    placeholderData: keepPreviousData,
  });
  const problem = text.trim() && asked.text === text ? check.data?.problem : null;
  // An unfinished condition is not a mistake while it is being typed.
  const isShown = problem && !(isTyping && problem.start >= text.trimEnd().length);
  const options = isTyping && asked.text === text ? (check.data?.suggestions ?? []).slice(0, 12) : [];

  const client = useQueryClient();
  const apply = async () => {
    combobox.closeDropdown();
    const wanted = text.trim();
    if (wanted === value) return;
    const found = await client.fetchQuery(filterCheckQuery(text, at)).catch(() => null);
    if (found && !found.problem) onApply(wanted);
  };
  const complete = (word: string) => {
    const start = check.data?.start ?? at;
    const next = `${text.slice(0, start)}${word} ${text.slice(at).trimStart()}`;
    const place = start + word.length + 1;
    setText(next);
    setAt(place);
    combobox.resetSelectedOption();
    requestAnimationFrame(() => input.current?.setSelectionRange(place, place));
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "Enter" && combobox.getSelectedOptionIndex() < 0) {
      event.preventDefault();
      void apply();
    }
    if (event.key === "Escape") combobox.closeDropdown();
  };

  return (
    <Combobox
      store={combobox}
      onOptionSubmit={complete}
      position="bottom-start"
      width={440}
      middlewares={{ shift: true, flip: false }}
    >
      <Combobox.Target withExpandedAttribute>
        <TextInput
          ref={input}
          aria-label="Filter runs by a condition"
          placeholder='Filter: config.method.target_rank <= 8 and tag = "a"'
          leftSection={<IconFilter size={15} />}
          className="filter-box"
          classNames={{ input: "filter-text" }}
          spellCheck={false}
          autoComplete="off"
          value={text}
          error={
            isShown ? (
              <Text component="span" size="xs" data-testid="filter-problem">
                <code>{excerpt(text, problem.start, problem.end)}</code>: {problem.message}.{" "}
                {problem.next_step}
              </Text>
            ) : null
          }
          onChange={(event) => {
            setTyping(true);
            setText(event.currentTarget.value);
            setAt(event.currentTarget.selectionStart ?? event.currentTarget.value.length);
            combobox.openDropdown();
            if (event.currentTarget.value === "") onApply("");
          }}
          onSelect={(event) => setAt(event.currentTarget.selectionStart ?? text.length)}
          onFocus={() => {
            setTyping(true);
            combobox.openDropdown();
          }}
          onBlur={() => {
            setTyping(false);
            void apply();
          }}
          onKeyDown={onKeyDown}
        />
      </Combobox.Target>
      <Combobox.Dropdown hidden={options.length === 0}>
        <Combobox.Options mah={320} style={{ overflowY: "auto" }}>
          {options.map((option) => (
            <Combobox.Option key={option.text} value={option.text}>
              <Group justify="space-between" wrap="nowrap" gap="md">
                <code className="clip">{option.text}</code>
                <Text size="xs" c="dimmed" className="clip">
                  {option.note}
                </Text>
              </Group>
            </Combobox.Option>
          ))}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}

const excerpt = (text: string, start: number, end: number): string =>
  text.slice(start, end).slice(0, 40) || text.slice(-12) || "…";
