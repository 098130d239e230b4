import { Button, CopyButton } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";

interface CopyTextButtonProps {
  text: string;
  label?: string;
}

/** Copies the text, and confirms it for a moment. */
export const CopyTextButton = ({ text, label = "Copy" }: CopyTextButtonProps) => (
  <CopyButton value={text}>
    {({ copied, copy }) => (
      <Button
        size="xs"
        variant="default"
        onClick={copy}
        leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
      >
        {copied ? "Copied" : label}
      </Button>
    )}
  </CopyButton>
);
