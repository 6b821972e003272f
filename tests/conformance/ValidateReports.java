import com.pixelmed.validate.DicomSRValidator;

/** Validates many SR documents in one virtual machine: making the validator costs more than using it. */
public class ValidateReports {
    public static void main(String[] files) throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        for (String file : files) {
            System.out.println("FILE " + file);
            System.out.println(validator.validate(file));
        }
    }
}
